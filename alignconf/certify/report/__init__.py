"""Certificates and audits as one page that needs no network."""
