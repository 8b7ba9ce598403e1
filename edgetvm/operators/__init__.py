"""Integer operators that Relax lacks: what each computes, its type, and its loops."""
