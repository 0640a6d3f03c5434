import django.db.models.deletion
from django.apps.registry import Apps
from django.conf import settings
from django.db import migrations, models


def give_creators_access(apps: Apps, _schema_editor: object) -> None:
    """Without one nobody would reach what was written before."""
    access = apps.get_model("core", "DocumentAccess")
    documents = apps.get_model("core", "Document").objects.order_by("created_at")
    access.objects.bulk_create(
        access(document=document, user_id=document.creator_id, role="owner") for document in documents.iterator()
    )


class Migration(migrations.Migration):
    dependencies = (("core", "0001_initial"),)
    operations = (
        migrations.CreateModel(
            name="DocumentAccess",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "role",
                    models.CharField(
                        choices=[("reader", "Reader"), ("editor", "Editor"), ("owner", "Owner")], max_length=20
                    ),
                ),
                (
                    "document",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="accesses", to="core.document"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("document", "user"), name="one_access_each")],
            },
        ),
        migrations.RunPython(give_creators_access, migrations.RunPython.noop),
    )
