"""Flows, audiences and connections, changed while everything runs: one code path for the control API and the commands.

    API, commands ─► ControlPlane.change(decide) ─► decide(Draft) ─► writes ─► ControlLog.commit: all of them or none
                            ▲                                                       │
                            └──── ControlState = fold of flows, audiences, connections ◄─┘

    state    what the topics say (pure)          draft     a change in the making (pure)
    plane    decide, write, again if overtaken   ports     what a log must do; the real one is processor/control/kafka_log.py
    native   flows and audiences as in a file    audit     who changed what, on a topic
    jobs     orders by hand, job_status how they stand     recording   flows whose etag no audit event names

Nothing is kept but on the topics. Whoever writes has fenced everybody else before it read what it decides by, so no
change is lost; the workers follow the same topics (processor/catalog).
"""
