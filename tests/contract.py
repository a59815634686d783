"""The contract, as its compiled messages describe it."""

from __future__ import annotations

import importlib
import pkgutil

from google.protobuf.descriptor import MethodDescriptor

import unseen.v1


def methods_of_the_contract() -> list[MethodDescriptor]:
    """Every method of every service."""
    modules = [importlib.import_module(f"unseen.v1.{found.name}") for found in pkgutil.iter_modules(unseen.v1.__path__)]
    services = [
        service
        for module in modules
        if hasattr(module, "DESCRIPTOR")
        for service in module.DESCRIPTOR.services_by_name.values()
    ]
    return [method for service in services for method in service.methods]
