"""Answer → page. rendering is pure; public is the chat; pages are the parts that need no script; limiting and protecting keep
the door; app puts them together. For staff: signing_in, staff (who may ask for what), queueing (whose turn it is), staff_work (what each
page and act does, in a process of its own), staff_pages and staff_forms (pure), and reindexing, which brings the index up to date
beside the server."""
