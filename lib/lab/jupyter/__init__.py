"""Kernels, kernelspecs, notebooks, pages, batch runs."""
