"""Finds the files of a customers repository, reads each with what it inherits, and resolves whole customers."""

from reconciler.config.load.defaults import DefaultsResolver as DefaultsResolver
from reconciler.config.load.directory import detect_wrong_directory as detect_wrong_directory
from reconciler.config.load.document import merge_inherited as merge_inherited
from reconciler.config.load.document import remove_nulls as remove_nulls
from reconciler.config.load.layout import COMMUNITIES as COMMUNITIES
from reconciler.config.load.layout import CUSTOMER_FILE as CUSTOMER_FILE
from reconciler.config.load.layout import LESSONS as LESSONS
from reconciler.config.load.layout import ConfigFile as ConfigFile
from reconciler.config.load.layout import CustomerFolder as CustomerFolder
from reconciler.config.load.layout import RepositoryLayout as RepositoryLayout
from reconciler.config.load.layout import find_settings_folder as find_settings_folder
from reconciler.config.load.layout import scan_repository as scan_repository
from reconciler.config.load.resolved import ConfigDocument as ConfigDocument
from reconciler.config.load.resolved import Outline as Outline
from reconciler.config.load.resolved import Repository as Repository
from reconciler.config.load.resolved import ResolvedCustomer as ResolvedCustomer
from reconciler.config.load.resolved import build_outline as build_outline
from reconciler.config.load.sources import RosterSource as RosterSource
from reconciler.config.load.sources import find_roster_source as find_roster_source
