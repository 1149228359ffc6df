"""The kernels: native code against plain recurrences."""
