"""Flags as Docker reads them: ``-itd``, ``--rm=false``, ``-e=A=b``, and what is said of one that nobody knows."""
