"""The leaderboard as a page: its data, its template, its script."""
