"""Adobe's Flow Service, `/data/foundation/flowservice`: its objects are views of flows and connections.

    routes     lists, objects, patches, deletions     create_routes       what creates objects
    specs      the fixed catalogue                     check_routes        what asks destinations

    models     bodies as they are read                 bodies              bodies, checked, as our own objects
    changes    flows created, changed, deleted         connection_changes  connections created and changed
    references what a change refers to                 patching            JSON Patch on a view (pure)
    objects    all objects, stored and derived         derived             connections of flows that files made
    views      objects as JSON                         query               filters, order, pages (pure)

What changes objects is a Draft. A flow that came from `apply` has no connections of a client's: it is shown with some
that are derived from it, under ids that stay the same, and they become real when a client changes one of them.
"""
