"""Who may do what: tokens, the table of methods and roles, and the gate that every call passes before it is read."""
