"""Adobe's Flow Service, `/data/foundation/flowservice`: its objects are views of flows and connections; what changes
them is a Draft.

    routes     the calls                               specs      the fixed catalogue
    objects    what there is, also what no client made  views      as JSON
    changes    create, patch, delete, enable, disable  bodies     JSON, checked, as our own objects
    patching   JSON Patch on a view (pure)             query      filters, order, pages (pure)

A flow that came from `apply` has no connections of a client's: it is shown with some that are derived from it, under
ids that stay the same, and they become real when a client changes one of them.
"""
