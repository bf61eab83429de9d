"""Answer → page. rendering is pure; public is the chat; pages are the parts that need no script; limiting and protecting keep
the door; app puts them together."""
