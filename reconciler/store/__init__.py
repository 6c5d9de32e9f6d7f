"""The live store: tables and migrations, opening, one consistent reading, and applying one customer's plan.

SQLite and PostgreSQL behind one interface; what differs between them is in `sqlite` and `postgresql`.
"""
