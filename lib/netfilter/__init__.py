"""The kernel's network: links, rules of its packet filter, connections that it remembers. Told what to do, and told to forget it.

What is told is decided above, in ``network``. This is the half that a daemon of ours needs as well, when it undoes, and a child that has
no library any more: so it has the standard library alone.
"""
