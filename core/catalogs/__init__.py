"""Where items come from: static catalogs, item collections and STAC APIs."""
