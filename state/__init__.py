"""Where profiles live: the store behind the Faust table. Nothing is here yet."""
