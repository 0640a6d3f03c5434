from django.apps.registry import Apps
from django.db import migrations, models


def give_titles(apps: Apps, _schema_editor: object) -> None:
    """Documents of the first release may have none."""
    apps.get_model("core", "Document").objects.filter(title=None).update(title="Untitled document")


class Migration(migrations.Migration):
    dependencies = (("core", "0002_documentaccess"),)
    operations = (
        migrations.RunPython(give_titles, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="document",
            name="title",
            field=models.CharField(max_length=255),
        ),
    )
