"""Answer → page. rendering is pure; public is the chat; pages are the parts that need no script; limiting and protecting keep
the door; app puts them together. For staff: signing_in, staff (what each page and act does), staff_pages and staff_forms (pure), and
reindexing, which brings the index up to date in the background."""
