"""What comes next, decided by state machines that do nothing themselves: no process, no clock, no file. The tests play them."""
