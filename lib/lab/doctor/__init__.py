"""What machine is this, what does it lack, what was left behind on it?"""
