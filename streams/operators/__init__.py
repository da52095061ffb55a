"""What runs for each step of the DSL. An operator binds to its task once and becomes a plain function."""
