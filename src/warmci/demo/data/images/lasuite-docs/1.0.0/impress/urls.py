"""Paths, as La Suite Docs has them."""

from core import api
from django.urls import include, path
from rest_framework.routers import DefaultRouter

router = DefaultRouter()
router.register("documents", api.DocumentViewSet, basename="documents")
router.register("users", api.UserViewSet, basename="users")

urlpatterns = [
    path("api/v1.0/", include("lasuite.oidc_login.urls")),
    path("api/v1.0/", include(router.urls)),
    path("__lbheartbeat__", api.alive),
    path("__heartbeat__", api.serving),
]
