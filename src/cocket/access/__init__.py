"""Who signs in: accounts, second factors, sessions, tokens, an OpenID Connect provider. Who may do what is not said here."""
