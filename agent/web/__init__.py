"""The page in the browser, the kiosk stream, `/metrics` and `/healthz`, in a thread of their own."""
