"""The proof that labels are what the masks say."""
