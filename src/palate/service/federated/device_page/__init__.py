"""A page that is a device: the public model goes to the browser, and no answer leaves it.

The page is a handful of files in one folder, the same for every visitor, which link to each other by name. So it can be
mounted by a service (:func:`device_router`) or laid on any file server (:func:`write_site`).
"""

from palate.service.federated.device_page.site import Site, build_site, device_headers, device_router, write_site

__all__ = ["Site", "build_site", "device_headers", "device_router", "write_site"]
