"""Files of networks: fetched or made, kept in the cache folder, checked against their receipts."""
