from typing import Any
from urllib.parse import urlsplit

from django.db import migrations, models


def tell_hosts(apps: Any, schema_editor: Any) -> None:
    webhooks = apps.get_model("webhooks", "Webhook").objects
    for webhook in webhooks.only("url", "failing_since", "created_at").iterator():
        webhooks.filter(pk=webhook.pk).update(
            host=(urlsplit(webhook.url).hostname or "")[:255],
            prompt_at=None if webhook.failing_since else webhook.created_at,
        )


class Migration(migrations.Migration):
    dependencies = [
        ("webhooks", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="webhook",
            name="host",
            field=models.CharField(blank=True, max_length=255, default=""),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="webhook",
            name="prompt_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.RunPython(tell_hosts, migrations.RunPython.noop),
    ]
