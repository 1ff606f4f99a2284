"""The real thing over a real socket."""
