"""Flows, audiences and connections, changed while everything runs: one code path for the control API and the commands.

    API, commands ─► ControlPlane.change(decide) ─► decide(Draft) ─► writes ─► ControlLog.commit: all of them or none
                            ▲                                                       │
                            └──── ControlState = fold of flows, audiences, connections ◄─┘

    plane        decide, write, again if overtaken     draft          a change in the making (pure)
    ports        what a log must do                    kafka_log      the real one: one transaction a change
    own_records  committed, and not read yet           native         flows and audiences as in a file
    apply_plan   what `apply` would change             rotation       secrets under another key
    job_orders   ordered by hand, cancelled            job_status     how jobs stand
    job_progress what workers say of jobs
    recording    flows whose etag no audit event names unnamed_etags  which those are

Nothing is kept but on the topics. Whoever writes has fenced everybody else before it read what it decides by, so no
change is lost; the workers follow the same topics (processor/catalog).
"""
