"""Reading room: pages for people, no logic of its own."""
