"""Holds the frozen pydantic models of the YAML documents, one module for each part of a document."""

from reconciler.config.models.community import Community as Community
from reconciler.config.models.customer import Customer as Customer
from reconciler.config.models.customer import NotificationSettings as NotificationSettings
from reconciler.config.models.declaration import ValidationContext as ValidationContext
from reconciler.config.models.lesson import Lesson as Lesson
from reconciler.config.models.limits import Limits as Limits
from reconciler.config.models.rostering import MergeSettings as MergeSettings
from reconciler.config.models.rostering import OneRosterRostering as OneRosterRostering
from reconciler.config.models.rostering import SeasonSettings as SeasonSettings
from reconciler.config.models.rostering import SelectionSettings as SelectionSettings
from reconciler.config.models.secret import SecretName as SecretName
from reconciler.config.models.secret import SecretReference as SecretReference
from reconciler.config.models.secret import find_secret_references as find_secret_references
from reconciler.config.models.settings import Ceilings as Ceilings
from reconciler.config.models.settings import Environment as Environment
from reconciler.config.models.settings import FileMail as FileMail
from reconciler.config.models.settings import Mail as Mail
from reconciler.config.models.settings import Policy as Policy
from reconciler.config.models.settings import Settings as Settings
from reconciler.config.models.settings import SmtpMail as SmtpMail
from reconciler.config.models.sync import ApiSync as ApiSync
from reconciler.config.models.sync import SftpSync as SftpSync
from reconciler.config.models.sync import ZipSync as ZipSync
