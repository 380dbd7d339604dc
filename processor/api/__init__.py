"""The control API: Adobe's Flow Service, and our own native form besides (docs/control-api.md).

    HTTP ─► limits ─► access ─► flow_service/routes, native ─► ControlPlane (processor/control) ─► topics

    app        everything put together            access     tokens, roles, refused tokens
    errors     what an error looks like           limits     sizes, times, and paths as they come
    native     /v1/flows, /v1/audiences           serve      uvicorn, and when it must stop
    calls      what every call has                connections  how many, and how slow they may be
    jobs       /v1/jobs                           uploads    /v1/audiences/import
    checks     of destinations, bounded           upload_room  how many uploads, and how large
    watch      whether this API still writes      page        /docs
    etags      how they are shown and compared    flow_service  Adobe's paths

It keeps nothing: it can be restarted or moved at will. It is a root of its own, and the worker knows nothing
of it.
"""
