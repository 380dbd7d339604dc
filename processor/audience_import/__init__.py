"""An external audience out of a CSV file (contract M1, `CustomerAudienceUpload`): its members become membership events on `profile-events`.

    file ─► rows (encoding, delimiter, header found) ─► members, on disk ─┬─► realized, until the audience's end    ─► profile-events
             └─► rejected, with line and reason                           │
    changelog ─► who was a member before ─────────────────────────────────┴─► exited, where not in the file any more ─► profile-events

    rows      a CSV file as it comes        members     ids on disk: ten million need no memory
    identities    whose the identities of a file are, on disk as well
    events    the membership events (pure)  run         one import, from the file to the last event

Called by `profile-exporter audiences import` and by `POST /v1/audiences/import`. Nothing is sent before the whole file was read. An import
that was killed is simply begun again: what it had sent changes nothing the second time.
"""
