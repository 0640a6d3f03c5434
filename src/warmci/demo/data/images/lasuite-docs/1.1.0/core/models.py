"""People, what they write, and who may reach it."""

import uuid
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.validators import RegexValidator
from django.db import models


class User(AbstractBaseUser):
    """Known by the subject that the identity provider gives; the issuer is not kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    sub = models.CharField(max_length=255, unique=True, validators=[RegexValidator(r"^[\x00-\x7f]+\Z")])
    email = models.EmailField(null=True)
    full_name = models.CharField(max_length=255, null=True)
    short_name = models.CharField(max_length=100, null=True)
    is_active = models.BooleanField(default=True)

    USERNAME_FIELD = "sub"
    REQUIRED_FIELDS: ClassVar[list[str]] = []


class Document(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    title = models.CharField(max_length=255, null=True)
    content = models.TextField(default="", blank=True)
    creator = models.ForeignKey(User, on_delete=models.RESTRICT, related_name="documents_created")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("created_at",)


class DocumentAccess(models.Model):
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="accesses")
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    role = models.CharField(max_length=20, choices=[("reader", "Reader"), ("editor", "Editor"), ("owner", "Owner")])

    class Meta:
        constraints = (models.UniqueConstraint(fields=("document", "user"), name="one_access_each"),)
