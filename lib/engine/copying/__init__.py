"""Files copied from tree to tree by open folders: no path is looked up twice, so whoever swaps links meanwhile gains nothing."""
