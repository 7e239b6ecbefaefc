"""The explorer in a browser: pages, and an API of what the other rooms do. No science inside."""
