"""C packages in the form that other build systems take: one module a system, each gives all files of the new folder."""
