"""An external audience out of a CSV file (contract M1, `CustomerAudienceUpload`): its members become membership events
on `profile-events`.

    file ─► rows (encoding, delimiter, header found) ─► members, on disk ─┬─► realized, until the audience's end    ─► profile-events
             └─► rejected, with line and reason                           │
    changelog ─► who was known, and a member, before ─────────────────────┴─► exited, where not in the file any more ─► profile-events

    rows      what each row of a file names         kinds     what a file is that is no CSV
    encoding  UTF-8, or the one that is named       layout    delimiter, header, the columns that name members
    records   rows as `csv` reads them, or broken   ids       is it an id, or what a spreadsheet made of one (pure)
    rejected  why a row names no member             members   ids on disk: ten million need no memory
    events    the membership events (pure)          run       one import, from the file to the last event
    identities    whose the identities of a file are, on disk as well

Called by `profile-exporter audiences import` and by `POST /v1/audiences/import`. Nothing is sent before the whole file
was read. An import that was killed is simply begun again: what it had sent changes nothing the second time.
"""
