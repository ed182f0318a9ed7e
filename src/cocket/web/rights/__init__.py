"""Who may do what: the table of rights, the policies, and the one place where both are enforced."""
