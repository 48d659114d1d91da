"""Column and file names, in one place."""

from __future__ import annotations

# Columns of a domain folder.
ITEM_ID = "item_id"
USER_ID = "user_id"
TIMESTAMP = "timestamp"
TITLE = "title"
TEXT = "text"
IMAGES = "images"
IMAGE_URLS = "image_urls"
CODES = "codes"
DOMAIN = "domain"
COLLIDES = "collides"

# Files of a domain folder.
ITEMS = "items"
INTERACTIONS = "interactions"
DOMAIN_FILE = "domain.json"
CODES_FOLDER = "codes"
CARD_FILE = "README.md"
PREPARATION_FILE = "preparation.json"

# Modalities, in the order in which fusion and reports list them.
TEXT_MODALITY = "text"
IMAGE_MODALITY = "image"
STRUCTURAL_MODALITY = "structural"
MODALITIES = (TEXT_MODALITY, IMAGE_MODALITY, STRUCTURAL_MODALITY)

# Folders and files of a model folder.
FEATURES_FOLDER = "features"
FUSION_FOLDER = "fusion"
QUANTIZER_FOLDER = "quantizer"
ITEM_GRAPH_FOLDER = "item_graph"
RERANKER_FOLDER = "reranker"
CATALOG_FILE = "catalog.parquet"
CATALOG_INFO_FILE = "catalog.json"
RECOMMENDER_FILE = "recommender.json"
NEW_ITEMS_FILE = "new_items.json"

# What makes a folder a stage of a run.
STAGE_FILE = "stage.json"
