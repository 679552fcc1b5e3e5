"""Photos and mattes as headerless .bin files, the way msame reads and writes them."""
