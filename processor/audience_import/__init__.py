"""Import an external audience from a CSV file (contract M1): its members become events on `profile-events`.

    file ─► rows (encoding, delimiter, header found) ─► members, on disk ─┬─► realized, until its end ─► profile-events
             └─► rejected, with line and reason                           │
    changelog ─► who was known, and a member, before ─────────────────────┴─► exited, if not in file   ─► profile-events

    run             one import, from the file to the last event     request         what is asked for, and the result
    rows            what each row of a file names                   kinds           what a file is that is no CSV
    encoding        UTF-8, or the one that is named                 layout          delimiter, header, columns
    records         rows as `csv` reads them, or broken             ids             is it an id, or a spoilt one (pure)
    rejected        why a row names no member                       rejected_file   where such rows are written
    members         ids on disk: ten million need no memory         identities      whose identities are, on disk too
    identity_index  the changelog's index of identities             membership_changes  who is a member now
    applied_events  until the workers have applied all              refusals        why nothing is sent
    events          the membership events (pure)                    sending         the audience described, events sent

Called by `profile-exporter audiences import` and by `POST /v1/audiences/import`. Nothing is sent before the whole file
was read. An import that was killed is simply begun again: what it had sent changes nothing the second time.
"""
