"""What the browser asks for."""

from core.models import Document, DocumentAccess, User
from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, JsonResponse
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response


class UserSerializer(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ("id", "email", "full_name", "short_name")


class DocumentSerializer(serializers.ModelSerializer):
    class Meta:
        model = Document
        fields = ("id", "title", "content", "creator", "created_at", "updated_at")
        read_only_fields = ("creator",)
        extra_kwargs = {"title": {"default": "Untitled document"}}


class UserViewSet(viewsets.GenericViewSet):
    queryset = User.objects.all()
    serializer_class = UserSerializer

    @action(detail=False, methods=["get"])
    def me(self, request: Request) -> Response:
        return Response(self.get_serializer(request.user).data)


class DocumentViewSet(
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    mixins.ListModelMixin,
    viewsets.GenericViewSet,
):
    """Each person sees what she has an access to."""

    serializer_class = DocumentSerializer

    def get_queryset(self) -> QuerySet[Document]:
        return Document.objects.filter(accesses__user=self.request.user)

    @transaction.atomic
    def perform_create(self, serializer: DocumentSerializer) -> None:
        document = serializer.save(creator=self.request.user)
        DocumentAccess.objects.create(document=document, user=self.request.user, role="owner")


def alive(_request: HttpRequest) -> JsonResponse:
    return JsonResponse({})


def serving(_request: HttpRequest) -> JsonResponse:
    """Whether database and session store answer; an exception is HTTP 500."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    cache.set("heartbeat", "beat", 1)
    return JsonResponse({"status": "ok"})
