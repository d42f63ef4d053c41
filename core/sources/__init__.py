"""One module per source of variables: what its items say and what that means."""
