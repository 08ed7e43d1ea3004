"""What idle event streams cost, and whether anybody else notices them."""
