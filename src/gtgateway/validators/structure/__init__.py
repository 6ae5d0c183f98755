"""Does the document have the shape that its standard asks for?"""
