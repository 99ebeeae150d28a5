"""The app's name and label."""

from django.apps import AppConfig


class Config(AppConfig):
    """Accounts: no tables of its own; allauth has the label "account"."""

    name = "cutline.server.account"
    label = "cutline_account"

    def ready(self) -> None:
        """Listen for logins: what a session owns is then claimed."""
        from cutline.server.account import signals

        signals.connect()
