-- A download from a URL may need header fields, or a server whose certificate no authority has signed.

ALTER TABLE download ADD COLUMN order_headers TEXT;
ALTER TABLE download ADD COLUMN order_certificate TEXT CHECK (length(order_certificate) = 64);
