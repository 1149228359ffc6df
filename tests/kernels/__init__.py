"""The kernels: native code against plain references."""
